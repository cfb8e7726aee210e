import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.SSLContext;

/**
 * Listens to an ente's outcomes and says whom of your own cases each is about.
 *
 * <pre>AMQP_URL=amqps://… HASH_KEY_FILE=key java Listen.java borgochiaro RSSMRA85T10A562S…</pre>
 *
 * An outcome holds no fiscal code: its data.destinatario is a keyed hash that you compute too. Needs
 * amqp-client 5 and jackson-databind 2 on the class path.
 */
public final class Listen {
    public static void main(String[] args) throws Exception {
        String ente = args[0];
        byte[] key = Files.readString(Path.of(System.getenv("HASH_KEY_FILE"))).stripTrailing()
            .getBytes(StandardCharsets.UTF_8);
        Map<String, String> known = new HashMap<>();
        for (int i = 1; i < args.length; i++) {
            known.put(recipientHash(key, args[i]), args[i]);
        }
        Set<String> seen = new HashSet<>(); // in your system: a table with the ids of the last weeks

        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(System.getenv().getOrDefault("AMQP_URL", "amqp://127.0.0.1:5672/%2f"));
        if (factory.isSSL()) {
            // setUri alone trusts any certificate. From amqp-client 5.4: enableHostnameVerification() too.
            factory.useSslProtocol(SSLContext.getDefault());
        }
        Channel channel = factory.newConnection().createChannel();
        String queue = ente + ".esiti";
        channel.queueDeclare(queue, true, false, false, Map.of("x-queue-type", "quorum"));
        channel.queueBind(queue, "promemoria.outcomes", ente + ".#");
        channel.basicQos(100);
        ObjectMapper json = new ObjectMapper();
        channel.basicConsume(queue, false, new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties props, byte[] body)
                throws IOException {
                JsonNode outcome = json.readTree(body);
                if (seen.add(outcome.get("id").asText())) { // outcomes are told at least once
                    JsonNode data = outcome.get("data");
                    String person = known.getOrDefault(data.path("destinatario").asText(), "unknown");
                    System.out.println(String.join(" ", outcome.get("type").asText(),
                        outcome.get("subject").asText(), about(data), person));
                }
                channel.basicAck(envelope.getDeliveryTag(), false); // after your own commit
            }
        });
        System.out.println("listening");
    }

    private static String about(JsonNode data) {
        for (String name : new String[] {"messaggio", "timer", "codice"}) {
            if (data.hasNonNull(name)) {
                return data.get(name).asText();
            }
        }
        return "-";
    }

    private static String recipientHash(byte[] key, String fiscalCode) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        StringBuilder hex = new StringBuilder();
        for (byte b : mac.doFinal(fiscalCode.toUpperCase(Locale.ROOT).getBytes(StandardCharsets.UTF_8))) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString();
    }
}
