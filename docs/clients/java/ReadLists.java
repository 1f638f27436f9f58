// Lists of nextclick as they come, each once: java -cp 'jars/*' ReadLists.java localhost:9092 my-shop recommendations
// Several programs of one group (my-shop) share the lists. Needs kafka-clients, lz4-java and jackson-databind.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

public class ReadLists {
  static final String ALL = "*"; // of what takes all lists of a session back; no placement has this name
  static final ObjectMapper JSON = new ObjectMapper();

  /** Which lists of a session came last: a click has one for each placement. */
  record Source(String place, long offset, Set<String> placements) {}

  /** Of each session the newest source, by which a repeat is known. */
  static class Newest {
    private final Map<String, Source> seen;

    Newest(int sessions) {
      seen = new LinkedHashMap<>(16, .75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Source> silentForLongest) {
          return size() > sessions;
        }
      };
    }

    boolean isNew(String session, JsonNode source, String placement) {
      String place = source.get("topic").asText() + "-" + source.get("partition").asInt();
      long offset = source.get("offset").asLong();
      Source known = seen.get(session);
      if (known == null || !known.place().equals(place) || known.offset() < offset) {
        seen.put(session, new Source(place, offset, new HashSet<>(Set.of(placement))));
        return true;
      }
      return known.offset() == offset && !known.placements().contains(ALL) && known.placements().add(placement);
    }
  }

  /** What there is to tell of a record; empty where it was told before. */
  static Optional<ObjectNode> told(ConsumerRecord<String, byte[]> record, Newest newest) throws IOException {
    ObjectNode told = JSON.createObjectNode().put("session", record.key());
    if (record.value() == null) { // the session was erased: show none of its lists
      Header erased = record.headers().lastHeader("erased");
      boolean isNew = erased == null || newest.isNew(record.key(), JSON.readTree(erased.value()).get("source"), ALL);
      return isNew ? Optional.of(told.put("erased", true)) : Optional.empty();
    }
    JsonNode list = JSON.readTree(record.value());
    String placement = list.path("placement").asText("");
    if (!newest.isNew(record.key(), list.get("source"), placement)) {
      return Optional.empty();
    }
    told.put("placement", placement).put("offset", list.get("source").get("offset").asLong());
    ArrayNode items = told.putArray("items");
    list.get("items").forEach(item -> items.add(item.get("item_id").asText()));
    return Optional.of(told);
  }

  public static void main(String[] words) throws Exception {
    Map<String, Object> options = Map.of(
        "bootstrap.servers", words[0],
        "group.id", words[1],
        "isolation.level", "read_committed", // nothing of a transaction that was given up; the default is otherwise
        "auto.offset.reset", "earliest"); // a group that is new begins with what the topic still has
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new ByteArrayDeserializer());
    Thread reader = Thread.currentThread();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      consumer.wakeup();
      try {
        reader.join();
      } catch (InterruptedException ended) {
        Thread.currentThread().interrupt();
      }
    }));
    Newest newest = new Newest(100_000);
    try (consumer) { // closing it says how far the group has read
      consumer.subscribe(List.of(words.length > 2 ? words[2] : "recommendations"));
      while (true) {
        for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          told(record, newest).ifPresent(out::println);
        }
      }
    } catch (WakeupException stopped) {
      // by SIGTERM or Ctrl-C
    }
  }
}
