package mapping

// Read gives what stands in a mapping file as it is written, with the keys and
// values of [Set]: variables are not filled in, and nothing is checked but
// that it is YAML as mapping files have it. The error is [Problems].
func Read(file string, text []byte) (map[string]any, error) {
	d, err := openDocument(file, string(text))
	if err != nil {
		return nil, err
	}
	m, _ := d.root.value().(map[string]any)
	return m, nil
}
