<?php
$person = fn (string $id, array $groups): array => [
    'uid' => [$id], 'displayName' => ['Independent ' . $id], 'email' => [$id . '@alpha.example'], 'groups' => $groups,
];
$config = ['people' => [
    'exampleauth:UserPass',
    'ada:any' => $person('ada', ['Portfolio-Managers', 'Canteen']),
    'ben:any' => $person('ben', ['Accounts-ALP0001']),
    'dan:any' => $person('dan', []),
]];
