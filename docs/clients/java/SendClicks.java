// Clicks for nextclick, a line of JSON each: java -cp 'jars/*' SendClicks.java localhost:9092 clicks < clicks.jsonl
// Says of each where Kafka has it: partition, offset, session. Needs kafka-clients and jackson-databind.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class SendClicks {
  public static void main(String[] words) throws Exception {
    String topic = words.length > 1 ? words[1] : "clicks";
    Map<String, Object> options = Map.of(
        "bootstrap.servers", words[0],
        // no partitioner.class: Kafka's own, murmur2 of the key, is the default
        "enable.idempotence", true, // none twice, none before its predecessor
        "acks", "all",
        "compression.type", "lz4");
    ObjectMapper json = new ObjectMapper();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    AtomicInteger failed = new AtomicInteger();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (var producer = new KafkaProducer<>(options, new StringSerializer(), new StringSerializer())) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonNode click = json.readTree(line);
        String key = click.get("session_id").asText(); // the key is the session
        producer.send(new ProducerRecord<>(topic, key, click.toString()), (sent, error) -> {
          if (error == null) {
            out.println(sent.partition() + " " + sent.offset() + " " + key);
          } else {
            failed.incrementAndGet();
            System.err.println("not sent: " + error.getMessage());
          }
        });
      }
    } // waits until all are sent
    System.exit(failed.get() > 0 ? 1 : 0);
  }
}
