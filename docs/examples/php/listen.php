<?php
// Listens to an ente's outcomes and says whom of your own cases each is about.
//
//     AMQP_URL=amqp://… HASH_KEY_FILE=key php listen.php borgochiaro RSSMRA85T10A562S…
//
// An outcome holds no fiscal code: its data.destinatario is a keyed hash that you compute too.
// Needs php-amqplib 3 (Debian: php-amqplib; with Composer require vendor/autoload.php).
declare(strict_types=1);

require_once __DIR__ . '/connect.php';

use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

$ente = $argv[1];
$key = rtrim(file_get_contents(getenv('HASH_KEY_FILE')));
$known = [];
foreach (array_slice($argv, 2) as $code) {
    $known[hash_hmac('sha256', strtoupper($code), $key)] = $code;
}
$seen = []; // in your system: a table with the ids of the last weeks

$take = function (AMQPMessage $message) use ($known, &$seen): void {
    $outcome = json_decode($message->getBody(), true, 32, JSON_THROW_ON_ERROR);
    if (!isset($seen[$outcome['id']])) { // outcomes are told at least once
        $data = $outcome['data'];
        $about = $data['messaggio'] ?? $data['timer'] ?? $data['codice'];
        $person = $known[$data['destinatario'] ?? ''] ?? 'unknown';
        echo "{$outcome['type']} {$outcome['subject']} {$about} {$person}\n";
        $seen[$outcome['id']] = true;
    }
    $message->ack(); // after your own commit
};

$channel = connect()->channel();
$queue = "{$ente}.esiti";
$channel->queue_declare($queue, false, true, false, false, false, new AMQPTable(['x-queue-type' => 'quorum']));
$channel->queue_bind($queue, 'promemoria.outcomes', "{$ente}.#");
$channel->basic_qos(0, 100, false);
$channel->basic_consume($queue, '', false, false, false, false, $take);
echo "listening\n";
while ($channel->is_consuming()) {
    $channel->wait();
}
