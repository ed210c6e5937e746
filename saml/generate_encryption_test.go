package saml_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// An encryption is how an assertion is encrypted for us.
type encryption struct {
	to          pair
	data, key   string // algorithms
	digest, mgf string // of the key transport; "" writes none
	hash, mask  crypto.Hash
	sibling     bool // the key beside the data
	retrieval   bool // and a RetrievalMethod in its place
	dataType    string
	tamper      func(wrapped, sealed []byte) ([]byte, []byte)
	wrong       func(string) string // the whole text
}

const (
	oaepMGF1P = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	oaep2009  = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
	cbc       = "http://www.w3.org/2001/04/xmlenc#aes%d-cbc"
	gcm       = "http://www.w3.org/2009/xmlenc11#aes%d-gcm"
)

func encrypted() *encryption {
	return &encryption{
		to: ours(), data: fmt.Sprintf(gcm, 256), key: oaepMGF1P, hash: crypto.SHA1, mask: crypto.SHA1,
		dataType: ` Type="http://www.w3.org/2001/04/xmlenc#Element"`,
	}
}

func (e *encryption) seal(plain string) string {
	size := 32
	for _, bits := range []int{128, 192} {
		if strings.Contains(e.data, fmt.Sprintf("aes%d", bits)) {
			size = bits / 8
		}
	}
	key := random(size)
	wrapped := wrap(e.to.key.Public(), key, e.hash, e.mask)
	sealed := sealBlock(key, plain, strings.HasSuffix(e.data, "-gcm"))
	if e.tamper != nil {
		wrapped, sealed = e.tamper(wrapped, sealed)
	}
	var params string
	if e.digest != "" {
		params += fmt.Sprintf(`<ds:DigestMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Algorithm=%q/>`, e.digest)
	}
	if e.mgf != "" {
		params += fmt.Sprintf(`<xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm=%q/>`, e.mgf)
	}
	keyEl := fmt.Sprintf(`<xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Id="_k1"><xenc:EncryptionMethod Algorithm=%q>%s</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>`,
		e.key, params, base64.StdEncoding.EncodeToString(wrapped))
	info, beside := keyEl, ""
	if e.sibling {
		info, beside = "", keyEl
		if e.retrieval {
			info = `<ds:RetrievalMethod Type="http://www.w3.org/2001/04/xmlenc#EncryptedKey" URI="#_k1"/>`
		}
	}
	if info != "" {
		info = `<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + info + `</ds:KeyInfo>`
	}
	text := fmt.Sprintf(`<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" Id="_d1"%s><xenc:EncryptionMethod Algorithm=%q/>%s<xenc:CipherData><xenc:CipherValue>%s</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>%s`,
		e.dataType, e.data, info, lines(base64.StdEncoding.EncodeToString(sealed)), beside)
	if e.wrong != nil {
		text = e.wrong(text)
	}
	return text
}

// lines breaks base64 as many programs do.
func lines(s string) string {
	var parts []string
	for part := range slices.Chunk([]byte(s), 76) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, "\n")
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func sealBlock(key []byte, plain string, gcm bool) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	if gcm {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic(err)
		}
		nonce := random(12)
		return aead.Seal(nonce, nonce, []byte(plain), nil)
	}
	pad := 16 - len(plain)%16
	padded := append([]byte(plain), random(pad)...) // all but the last octet are arbitrary
	padded[len(padded)-1] = byte(pad)
	out := random(16 + len(padded))
	cipher.NewCBCEncrypter(block, out[:16]).CryptBlocks(out[16:], padded)
	return out
}

// wrap is RSA-OAEP with a mask of its own hash (RFC 8017, section 7.1.1).
func wrap(to crypto.PublicKey, key []byte, hash, mask crypto.Hash) []byte {
	pub, ok := to.(*rsa.PublicKey)
	if !ok {
		panic("not an rsa key")
	}
	k, h := pub.Size(), hash.Size()
	em := make([]byte, k)
	seed, db := em[1:1+h], em[1+h:]
	copy(seed, random(h))
	copy(db, hash.New().Sum(nil))
	db[len(db)-len(key)-1] = 1
	copy(db[len(db)-len(key):], key)
	mask1(db, mask, seed)
	mask1(seed, mask, db)
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, k))
}

func mask1(out []byte, hash crypto.Hash, seed []byte) {
	for i, counter := 0, byte(0); i < len(out); counter++ {
		h := hash.New()
		h.Write(seed)
		h.Write([]byte{0, 0, 0, counter})
		for _, c := range h.Sum(nil) {
			if i < len(out) {
				out[i] ^= c
				i++
			}
		}
	}
}
