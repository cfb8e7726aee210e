<?php
// Publishes one event: persistent, mandatory, confirmed.
//
//     AMQP_URL=amqp://… php publish.php permesso-rinnovato.json
//
// Needs php-amqplib 3 (Debian: php-amqplib; with Composer require vendor/autoload.php).
declare(strict_types=1);

require_once __DIR__ . '/connect.php';

use PhpAmqpLib\Message\AMQPMessage;

const CONFIRM_WITHIN_S = 10;

function fail(string $why): never
{
    fwrite(STDERR, "$why\n");
    exit(1);
}

$body = file_get_contents($argv[1]);
$event = json_decode($body, true, 32, JSON_THROW_ON_ERROR);
$connection = connect();
$channel = $connection->channel();

$taken = false;
$returned = false;
$channel->set_ack_handler(function () use (&$taken) { $taken = true; });
$channel->set_return_listener(function () use (&$returned) { $returned = true; });
$channel->confirm_select();
$message = new AMQPMessage($body, [
    'content_type' => 'application/cloudevents+json',
    'message_id' => $event['id'],
    'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT,
]);
$channel->basic_publish($message, 'promemoria.events', "{$event['ente']}.{$event['type']}", true);
// Throws if the broker does not answer. A return always comes before its confirm.
$channel->wait_for_pending_acks_returns(CONFIRM_WITHIN_S);
$connection->close();

if ($returned) {
    fail("returned: the fleet's topology is not there");
}
if (!$taken) {
    fail("not confirmed: publish it again with the same id");
}
echo "confirmed\n";
