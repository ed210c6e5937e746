package mapping

// Policy is a mapping file that was loaded: parsed, checked, compiled.
type Policy struct{}
