<?php
// SimpleSAMLphp on loopback, as an identity provider of one run of the tests.
$dir = getenv('E2E_DIR');
$config = [
    'baseurlpath' => getenv('E2E_ISSUER') . '/',
    'certdir' => $dir . '/cert/',
    'loggingdir' => $dir . '/log/',
    'datadir' => $dir . '/data/',
    'tempdir' => $dir . '/tmp',
    'metadatadir' => $dir . '/metadata',
    'secretsalt' => 'of this run alone',
    'auth.adminpassword' => bin2hex(random_bytes(16)),
    'timezone' => 'UTC',
    'logging.handler' => 'errorlog',
    'logging.level' => SimpleSAML\Logger::WARNING,
    'showerrors' => true,
    'errorreporting' => false,
    'enable.saml20-idp' => true,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'session.cookie.secure' => false,
    'session.phpsession.savepath' => $dir . '/tmp',
    'store.type' => 'phpsession',
    'language.default' => 'en',
    'trusted.url.domains' => [],
    // The gate's own metadata is there as soon as it runs.
    'metadata.sources' => array_merge(
        [['type' => 'flatfile', 'directory' => $dir . '/metadata']],
        file_exists($dir . '/gate.xml') ? [['type' => 'xml', 'file' => $dir . '/gate.xml']] : [],
    ),
];
