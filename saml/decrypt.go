package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"errors"
)

// errDecrypt is the one error of decryption. An answer that is not signed as
// a whole can be altered and sent again; whoever does so must not learn
// whether the key, the padding or the plaintext was what failed.
var errDecrypt = errors.New("it could not be decrypted, or is not what belongs there")

// decrypt gives the assertion within an EncryptedAssertion, or the NameID
// within an EncryptedID, whose shape is known to fit. It does not look at
// signatures.
func (sp *ServiceProvider) decrypt(n *node, ids map[string]struct{}) (*node, error) {
	want := name{nsAssertion, "Assertion"}
	if n.local == "EncryptedID" {
		want.local = "NameID"
	}
	data := n.els[0]
	keyEl, err := encryptedKey(n, data)
	if err != nil {
		return nil, err
	}
	block, err := blockOf(data.els[0])
	if err != nil {
		return nil, err
	}
	padding, err := oaepOf(keyEl.els[0])
	if err != nil {
		return nil, err
	}
	wrapped, err := cipherValue(keyEl)
	if err != nil {
		return nil, errDecrypt
	}
	sealed, err := cipherValue(data)
	if err != nil {
		return nil, errDecrypt
	}
	for _, pair := range sp.c.Decryption {
		for _, options := range padding {
			key, err := pair.Private.Decrypt(nil, wrapped, options)
			if err != nil || len(key) != block.size {
				continue
			}
			return openElement(block, key, sealed, want, ids)
		}
	}
	return nil, errDecrypt
}

func openElement(b block, key, sealed []byte, want name, ids map[string]struct{}) (*node, error) {
	plain, ok := b.open(key, sealed)
	if !ok || len(plain) > maxDecoded || !isElement(plain) {
		return nil, errDecrypt
	}
	el, err := read(string(plain), ids)
	if err != nil || el.name != want || fits(el) != nil {
		return nil, errDecrypt
	}
	return el, nil
}

// isElement is whether text begins with an element: a plaintext has no
// declaration of its own.
func isElement(text []byte) bool {
	return len(text) > 1 && text[0] == '<' && isNameByte(text[1], true)
}

// encryptedKey finds the one EncryptedKey: within the KeyInfo of the data, or
// beside the data (SAML core, section 2.3.4). A RetrievalMethod may point at
// it and at nothing else.
func encryptedKey(n, data *node) (*node, error) {
	var found []*node
	if key := n.child(name{nsXEnc, "EncryptedKey"}); key != nil {
		found = append(found, key)
	}
	info := data.child(name{nsDSig, "KeyInfo"})
	if info != nil {
		if key := info.child(name{nsXEnc, "EncryptedKey"}); key != nil {
			found = append(found, key)
		}
	}
	if len(found) != 1 {
		return nil, errors.New("want exactly one encrypted key")
	}
	key := found[0]
	if info != nil {
		if method := info.child(name{nsDSig, "RetrievalMethod"}); method != nil && method.value("URI") != "#"+key.value("Id") {
			return nil, errors.New("the key is to be retrieved from elsewhere")
		}
	}
	if list := key.child(name{nsXEnc, "ReferenceList"}); list != nil && list.els[0].value("URI") != "#"+data.value("Id") {
		return nil, errors.New("the key is for other data")
	}
	if inner := key.child(name{nsDSig, "KeyInfo"}); inner != nil &&
		(inner.child(name{nsXEnc, "EncryptedKey"}) != nil || inner.child(name{nsDSig, "RetrievalMethod"}) != nil) {
		return nil, errors.New("the key is itself encrypted by a key")
	}
	return key, nil
}

func cipherValue(n *node) ([]byte, error) {
	return decode64(n.child(name{nsXEnc, "CipherData"}).els[0].text())
}

// A block is a block encryption algorithm (XML encryption 1.1, section 5.2).
type block struct {
	size int // octets of the key
	gcm  bool
}

func blockOf(method *node) (block, error) {
	if len(method.els) > 0 {
		return block{}, errors.New("the data's encryption method has parameters")
	}
	switch method.value("Algorithm") {
	case "http://www.w3.org/2001/04/xmlenc#aes128-cbc":
		return block{16, false}, nil
	case "http://www.w3.org/2001/04/xmlenc#aes192-cbc":
		return block{24, false}, nil
	case "http://www.w3.org/2001/04/xmlenc#aes256-cbc":
		return block{32, false}, nil
	case "http://www.w3.org/2009/xmlenc11#aes128-gcm":
		return block{16, true}, nil
	case "http://www.w3.org/2009/xmlenc11#aes192-gcm":
		return block{24, true}, nil
	case "http://www.w3.org/2009/xmlenc11#aes256-gcm":
		return block{32, true}, nil
	}
	return block{}, errors.New("the data's encryption method is not one of ours")
}

// open decrypts sealed, whose first octets are the initialization vector.
func (b block) open(key, sealed []byte) ([]byte, bool) {
	c, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	if b.gcm {
		aead, err := cipher.NewGCM(c)
		if err != nil || len(sealed) < aead.NonceSize()+aead.Overhead() {
			return nil, false
		}
		plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
		return plain, err == nil
	}
	if len(sealed) < 2*aes.BlockSize || len(sealed)%aes.BlockSize != 0 {
		return nil, false
	}
	plain := make([]byte, len(sealed)-aes.BlockSize)
	cipher.NewCBCDecrypter(c, sealed[:aes.BlockSize]).CryptBlocks(plain, sealed[aes.BlockSize:])
	pad := int(plain[len(plain)-1]) // only the last octet means anything (section 5.2.1)
	if pad < 1 || pad > aes.BlockSize {
		return nil, false
	}
	return plain[:len(plain)-pad], true
}

// oaepOf gives the paddings to try for a key transport method (XML
// encryption 1.1, section 5.5.2). Where no mask is named it has SHA-1,
// whatever the digest, but common programs put the digest there too.
func oaepOf(method *node) ([]*rsa.OAEPOptions, error) {
	hash := crypto.SHA1
	if digest := method.child(name{nsDSig, "DigestMethod"}); digest != nil {
		var ok bool
		if hash, ok = digestOf(digest.value("Algorithm")); !ok {
			return nil, errors.New("the key's digest method is not one of ours")
		}
	}
	mask := []crypto.Hash{crypto.SHA1}
	if hash != crypto.SHA1 {
		mask = append(mask, hash)
	}
	mgf := method.child(name{nsXEnc11, "MGF"})
	switch algorithm := method.value("Algorithm"); {
	case algorithm == "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p":
		if mgf != nil && mgf.value("Algorithm") != nsXEnc11+"mgf1sha1" {
			return nil, errors.New("the key's mask is not the one of its method")
		}
	case algorithm != "http://www.w3.org/2009/xmlenc11#rsa-oaep":
		return nil, errors.New("the key's encryption method is not one of ours")
	case mgf != nil:
		named, ok := maskOf(mgf.value("Algorithm"))
		if !ok {
			return nil, errors.New("the key's mask is not one of ours")
		}
		mask = []crypto.Hash{named}
	}
	options := make([]*rsa.OAEPOptions, len(mask))
	for i := range mask {
		options[i] = &rsa.OAEPOptions{Hash: hash, MGFHash: mask[i]}
	}
	return options, nil
}

func maskOf(uri string) (crypto.Hash, bool) {
	switch uri {
	case nsXEnc11 + "mgf1sha1":
		return crypto.SHA1, true
	case nsXEnc11 + "mgf1sha256":
		return crypto.SHA256, true
	case nsXEnc11 + "mgf1sha384":
		return crypto.SHA384, true
	case nsXEnc11 + "mgf1sha512":
		return crypto.SHA512, true
	}
	return 0, false
}
