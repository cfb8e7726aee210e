<?php
// Connects to the broker of AMQP_URL.
declare(strict_types=1);

require_once getenv('AUTOLOAD') ?: 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Connection\AbstractConnection;
use PhpAmqpLib\Connection\AMQPSSLConnection;
use PhpAmqpLib\Connection\AMQPStreamConnection;

function connect(): AbstractConnection
{
    $url = parse_url(getenv('AMQP_URL') ?: 'amqp://127.0.0.1:5672/%2f');
    $tls = $url['scheme'] === 'amqps';
    $arguments = [
        $url['host'],
        $url['port'] ?? ($tls ? 5671 : 5672),
        rawurldecode($url['user'] ?? 'guest'),
        rawurldecode($url['pass'] ?? 'guest'),
        rawurldecode(substr($url['path'] ?? '/%2f', 1)),
    ];
    return $tls ? new AMQPSSLConnection(...[...$arguments, ['verify_peer' => true]])
        : new AMQPStreamConnection(...$arguments);
}
