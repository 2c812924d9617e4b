import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * Writes what Debezium's embedded engine reads of one collection into a file, one JSON document a line, until COUNT
 * have come; then prints how many there were, and in how many seconds from the first of them on. Its offsets are kept in a file, so that another run can go on from there.
 *
 *   java [-Dcounted=TEXT-OF-WHAT-COUNTS] Bench snapshot|stream URI DATABASE COLLECTION COUNT FILE OFFSETS
 */
public final class Bench {
  private static long seen = 0;
  private static long began = 0;
  private static long ended = 0;
  private static final String COUNTED = System.getProperty("counted", "");

  public static void main(String[] args) throws Exception {
    long count = Long.parseLong(args[4]);
    CountDownLatch enough = new CountDownLatch(1);
    try (BufferedWriter out = Files.newBufferedWriter(Path.of(args[5]))) {
      DebeziumEngine<ChangeEvent<String, String>> engine =
          DebeziumEngine.create(Json.class)
              .using(properties(args[0], args[1], args[2], args[3], args[6]))
              .using((success, message, error) -> {
                if (!success) System.err.println(message + ": " + error);
                enough.countDown();
              })
              .notifying((events, committer) -> {
                write(events, out, count);
                for (ChangeEvent<String, String> event : events) committer.markProcessed(event);
                committer.markBatchFinished();
                if (seen < count) return;
                ended = System.nanoTime();
                enough.countDown();
              })
              .build();
      ExecutorService executor = Executors.newSingleThreadExecutor();
      executor.execute(engine);
      System.err.println("started");
      enough.await();
      engine.close();
      executor.shutdown();
      executor.awaitTermination(10, TimeUnit.SECONDS);
    }
    System.out.println(seen + " " + (ended - began) / 1e9);
    System.exit(seen == count ? 0 : 1);
  }

  private static void write(List<ChangeEvent<String, String>> events, BufferedWriter out, long count) {
    try {
      for (ChangeEvent<String, String> event : events) {
        // Whatever else is in the collection was written to find out whether the stream is open.
        if (seen == count || event.value() == null || !event.value().contains(COUNTED)) continue;
        if (seen == 0) began = System.nanoTime();
        out.write(event.value());
        out.write('\n');
        seen += 1;
      }
    } catch (IOException error) {
      throw new IllegalStateException(error);
    }
  }

  private static Properties properties(String mode, String uri, String database, String collection, String offsets) {
    Properties all = new Properties();
    all.setProperty("name", "bench");
    all.setProperty("connector.class", "io.debezium.connector.mongodb.MongoDbConnector");
    all.setProperty("topic.prefix", "bench");
    all.setProperty("mongodb.connection.string", uri);
    all.setProperty("database.include.list", database);
    all.setProperty("collection.include.list", database + "." + collection);
    all.setProperty("snapshot.mode", mode.equals("snapshot") ? "initial_only" : "no_data");
    all.setProperty("offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore");
    all.setProperty("offset.storage.file.filename", offsets);
    all.setProperty("offset.flush.interval.ms", "0");
    all.setProperty("converter.schemas.enable", "false");
    return all;
  }
}
