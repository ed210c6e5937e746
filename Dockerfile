# A static binary in an empty image, run by nobody in particular.
FROM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /portcullis ./cmd/portcullis \
 && mkdir /state && chown 65532:65532 /state

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /portcullis /portcullis
# Holds portcullis.yaml, the mapping file and, on SQLite, the database.
COPY --from=build --chown=65532:65532 /state /etc/portcullis
USER 65532:65532
WORKDIR /etc/portcullis
EXPOSE 8080
ENTRYPOINT ["/portcullis"]
CMD ["serve", "-c", "/etc/portcullis/portcullis.yaml"]
