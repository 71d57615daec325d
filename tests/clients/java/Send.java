// Sends records with Fluency, the Java logger. ../README.md describes the command line.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.Timer;
import java.util.TimerTask;
import java.util.concurrent.atomic.AtomicReference;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;
import org.komamitsu.fluency.BufferFullException;
import org.komamitsu.fluency.EventTime;
import org.komamitsu.fluency.Fluency;
import org.komamitsu.fluency.fluentd.FluencyBuilderForFluentd;

public final class Send {
    private static final Set<String> FLAGS = Set.of("--ack", "--tls");
    private static final int FLUSH_INTERVAL_MS = 100;
    private static final int BUFFER_FULL_WAIT_MS = 10;

    public static void main(String[] words) throws Exception {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        Map<String, String> options = parse(words);
        int patience = Integer.parseInt(options.get("--patience"));
        giveUpAfter(patience);
        Map<Object, Map<String, Object>> records = list(options);
        boolean ack = options.containsKey("--ack");
        AtomicReference<Throwable> failure = new AtomicReference<>();
        FluencyBuilderForFluentd builder = new FluencyBuilderForFluentd();
        builder.setAckResponseMode(ack);
        builder.setFlushAttemptIntervalMillis(FLUSH_INTERVAL_MS);
        builder.setWaitUntilBufferFlushed(patience);
        builder.setWaitUntilFlusherTerminated(patience);
        builder.setErrorHandler(failure::set);
        if (options.containsKey("--tls")) {
            builder.setSslEnabled(true);
            builder.setSslSocketFactory(trusting(Path.of(options.get("--ca"))));
        }
        Fluency fluency = builder.build(options.get("--host"), Integer.parseInt(options.get("--port")));
        for (Map<String, Object> record : records.values()) {
            emit(fluency, options.get("--tag"), record);
        }
        fluency.flush();
        // It returns when all was sent, and acknowledged where that was asked for.
        fluency.close();
        if (failure.get() != null) {
            throw new IOException("not everything was sent", failure.get());
        }
        if (!fluency.isTerminated() || fluency.getBufferedDataSize() > 0) {
            throw new IOException("not everything was sent");
        }
        // Fluency tells nothing of single records.
        if (ack) {
            records.keySet().forEach(id -> System.out.println("acked " + id));
        }
        System.out.println("sent " + records.size() + " acked " + (ack ? records.size() : 0));
        System.out.flush();
        System.exit(0);
    }

    private static void emit(Fluency fluency, String tag, Map<String, Object> record) throws Exception {
        Instant now = Instant.now();
        while (true) {
            try {
                fluency.emit(tag, EventTime.fromEpoch(now.getEpochSecond(), now.getNano()), record);
                return;
            } catch (BufferFullException full) {
                Thread.sleep(BUFFER_FULL_WAIT_MS);
            }
        }
    }

    /** Sockets that trust the authorities of a PEM file. */
    private static SSLSocketFactory trusting(Path file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(file)) {
            int number = 0;
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
                store.setCertificateEntry("authority-" + number++, certificate);
            }
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    /** The records by their ids. */
    private static Map<Object, Map<String, Object>> list(Map<String, String> options) throws IOException {
        Map<Object, Map<String, Object>> records = new LinkedHashMap<>();
        String kind = options.get("--records");
        if (kind.equals("ids")) {
            int first = Integer.parseInt(options.get("--first"));
            int end = first + Integer.parseInt(options.get("--count"));
            for (int n = first; n < end; n++) {
                records.put(n, Map.of("id", n, "n", n, "message", "record " + n));
            }
            return records;
        }
        ObjectMapper json = new ObjectMapper();
        for (String line : Files.readAllLines(Path.of(kind))) {
            if (!line.isBlank()) {
                @SuppressWarnings("unchecked")
                Map<String, Object> record = json.readValue(line, Map.class);
                records.put(record.getOrDefault("id", records.size()), record);
            }
        }
        return records;
    }

    private static Map<String, String> parse(String[] words) {
        Map<String, String> options = new HashMap<>(Map.of(
            "--host", "127.0.0.1", "--count", "1", "--first", "0", "--records", "ids", "--mode", "packed", "--patience", "60"));
        Set<String> known = Set.of("--host", "--port", "--tag", "--count", "--first", "--records", "--mode", "--patience", "--ca");
        List<String> wrong = new ArrayList<>();
        for (int at = 0; at < words.length; at++) {
            if (FLAGS.contains(words[at])) {
                options.put(words[at], "");
            } else if (known.contains(words[at]) && at + 1 < words.length) {
                options.put(words[at], words[++at]);
            } else {
                wrong.add(words[at]);
            }
        }
        boolean missing = !options.containsKey("--port") || !options.containsKey("--tag")
            || options.containsKey("--tls") != options.containsKey("--ca");
        if (!wrong.isEmpty() || missing || !options.get("--mode").equals("packed")) {
            System.err.println("see tests/clients/README.md for the options; not understood: " + String.join(" ", wrong));
            System.exit(64);
        }
        return options;
    }

    /** Fluency tries again for long; the whole program does not. */
    private static void giveUpAfter(int seconds) {
        new Timer(true).schedule(new TimerTask() {
            @Override
            public void run() {
                System.err.println("not everything was sent within " + seconds + " s");
                Runtime.getRuntime().halt(1);
            }
        }, seconds * 1000L);
    }

    private Send() {}
}
