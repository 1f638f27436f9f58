// Lists of nextclick as they come, each once: node read-lists.mjs localhost:9092 my-shop recommendations
// Several programs of one group (my-shop) share the lists. Needs kafkajs, and lz4-napi: workers send lz4.
import kafkajs from 'kafkajs';
import { decompressFrame } from 'lz4-napi';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
CompressionCodecs[CompressionTypes.LZ4] = () => ({ decompress: (bytes) => decompressFrame(bytes) });

// Of each session the newest source, by which a repeat is known: a click has one list for each placement.
class Newest {
  #seen = new Map(); // in the order in which sessions were last heard of

  constructor(sessions = 100_000) {
    this.sessions = sessions;
  }

  // placement null: what takes all lists back
  isNew(session, { topic, partition, offset }, placement) {
    let known = this.#seen.get(session);
    this.#seen.delete(session);
    const isLater = !known || known.topic !== topic || known.partition !== partition || known.offset < offset;
    const isNew = isLater || (known.offset === offset && !known.placements.has(null) && !known.placements.has(placement));
    if (isLater) known = { topic, partition, offset, placements: new Set() };
    if (isNew) known.placements.add(placement);
    this.#seen.set(session, known);
    if (this.#seen.size > this.sessions) this.#seen.delete(this.#seen.keys().next().value); // who was silent for longest
    return isNew;
  }
}

// What there is to tell of a message; undefined where it was told before.
function told({ key, value, headers }, newest) {
  const session = key.toString();
  if (value !== null) {
    const { source, items, placement = '' } = JSON.parse(value);
    if (!newest.isNew(session, source, placement)) return undefined;
    return { session, placement, offset: source.offset, items: items.map((item) => item.item_id) };
  }
  const erased = headers?.erased; // no value: the session was erased, show none of its lists
  if (erased && !newest.isNew(session, JSON.parse(erased).source, null)) return undefined;
  return { session, erased: true };
}

const [bootstrap, groupId, topic = 'recommendations'] = process.argv.slice(2);
const kafka = new Kafka({ clientId: 'shop', brokers: bootstrap.split(','), logLevel: logLevel.WARN });
const consumer = kafka.consumer({ groupId, readUncommitted: false }); // nothing of a transaction that was given up
const newest = new Newest();

await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true }); // a group that is new begins with what the topic still has
await consumer.run({
  eachMessage: async ({ message }) => {
    const found = told(message, newest);
    if (found) console.log(JSON.stringify(found));
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => consumer.disconnect().then(() => process.exit(0))); // says how far the group has read
}
