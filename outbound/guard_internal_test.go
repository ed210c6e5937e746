package outbound

import "testing"

func TestGuardAllowsWhatTheOperatorNamed(t *testing.T) {
	for _, tc := range []struct {
		host, target string
		private      bool
		allowed      bool
	}{
		{"93.184.216.34", "8.8.8.8:443", false, true},
		{"idp.example", "8.8.8.8:443", false, true},
		{"idp.example", "127.0.0.1:443", false, false},
		{"idp.example", "[::1]:443", false, false},
		{"idp.example", "10.0.0.1:443", false, false},
		{"idp.example", "100.64.0.1:443", false, false},
		{"idp.example", "169.254.169.254:80", false, false},
		{"idp.example", "[::ffff:10.0.0.1]:443", false, false},
		{"idp.example", "[64:ff9b::a00:1]:443", false, false},
		{"idp.example", "[fd00::1]:443", false, false},
		{"idp.example", "[fe80::1]:443", false, false},
		{"idp.example", "0.0.0.0:443", false, false},
		{"idp.example", "168.63.129.16:80", true, false},
		{"idp.example", "[::7f00:1]:443", true, false},
		{"idp.example", "[fec0::1]:443", false, false},
		{"idp.example", "[fd00:ec2::254]:80", true, false},
		{"fd00::1", "[fd00:ec2::254]:80", false, false},
		{"idp.example", "100.100.100.200:80", true, false},
		{"idp.example", "192.0.0.192:80", true, false},
		{"idp.example", "10.0.0.1:443", true, true},
		{"idp.example", "127.0.0.1:443", true, true},
		{"idp.example", "169.254.169.254:80", true, false},
		{"idp.example", "[::ffff:169.254.169.254]:80", true, false},
		{"10.0.0.1", "10.9.9.9:443", false, true},
		{"10.0.0.1", "127.0.0.1:443", false, false},
		{"127.0.0.1", "[::1]:443", false, true},
		{"LocalHost", "127.0.0.1:443", false, true},
		{"127.0.0.1", "10.0.0.1:443", false, false},
		{"169.254.1.1", "169.254.169.254:443", false, false},
		{"idp.example", "not an address", true, false},
	} {
		err := guard{named: named(tc.host), private: tc.private}.judge(tc.target)
		if (err == nil) != tc.allowed {
			t.Errorf("%s (private allowed: %t), %s: %v, want allowed = %v", tc.host, tc.private, tc.target, err, tc.allowed)
		}
	}
}
