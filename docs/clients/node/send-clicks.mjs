// Clicks for nextclick, a line of JSON each: node send-clicks.mjs localhost:9092 clicks < clicks.jsonl
// Says of each where Kafka has it: partition, offset, session. Needs kafkajs.
import { createInterface } from 'node:readline';
import { Kafka, Partitioners, logLevel } from 'kafkajs';

const [bootstrap, topic = 'clicks'] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'shop', brokers: bootstrap.split(','), logLevel: logLevel.WARN });
const producer = kafka.producer({
  createPartitioner: Partitioners.DefaultPartitioner, // Kafka's own, murmur2; the LegacyPartitioner would tear sessions apart
  idempotent: true, // none twice, acknowledged by all replicas
  maxInFlightRequests: 1, // none before its predecessor
});

await producer.connect();
try {
  for await (const line of createInterface({ input: process.stdin })) {
    const click = JSON.parse(line);
    const key = String(click.session_id); // the key is the session
    const [{ partition, baseOffset }] = await producer.send({ topic, messages: [{ key, value: JSON.stringify(click) }] });
    console.log(partition, baseOffset, key);
  }
} finally {
  await producer.disconnect();
}
