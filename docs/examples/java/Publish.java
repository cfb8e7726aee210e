import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.net.ssl.SSLContext;

/**
 * Publishes one event: persistent, mandatory, confirmed.
 *
 * <pre>AMQP_URL=amqps://… java Publish.java permesso-rinnovato.json</pre>
 *
 * Needs amqp-client 5 and jackson-databind 2 on the class path.
 */
public final class Publish {
    private static final long CONFIRM_WITHIN_MS = 10_000;

    public static void main(String[] args) throws Exception {
        byte[] body = Files.readAllBytes(Path.of(args[0]));
        JsonNode event = new ObjectMapper().readTree(body);
        String routingKey = event.get("ente").asText() + "." + event.get("type").asText();
        AMQP.BasicProperties properties = new AMQP.BasicProperties.Builder()
            .contentType("application/cloudevents+json")
            .messageId(event.get("id").asText())
            .deliveryMode(2) // persistent
            .build();

        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(System.getenv().getOrDefault("AMQP_URL", "amqp://127.0.0.1:5672/%2f"));
        if (factory.isSSL()) {
            // setUri alone trusts any certificate. From amqp-client 5.4: enableHostnameVerification() too.
            factory.useSslProtocol(SSLContext.getDefault());
        }
        try (Connection connection = factory.newConnection(); Channel channel = connection.createChannel()) {
            AtomicBoolean returned = new AtomicBoolean();
            channel.addReturnListener((code, text, exchange, key, props, bytes) -> returned.set(true));
            channel.confirmSelect();
            channel.basicPublish("promemoria.events", routingKey, true, properties, body);
            // Throws if the broker refuses or does not answer: publish it again then, with the same id.
            // A return always comes before its confirm.
            channel.waitForConfirmsOrDie(CONFIRM_WITHIN_MS);
            if (returned.get()) {
                throw new IllegalStateException("returned: the fleet's topology is not there");
            }
            System.out.println("confirmed");
        }
    }
}
