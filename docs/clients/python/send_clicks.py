"""Clicks for nextclick, a line of JSON each: python send_clicks.py localhost:9092 clicks < clicks.jsonl

Says of each where Kafka has it: partition, offset, session. Needs confluent-kafka.
"""

import json
import sys

from confluent_kafka import KafkaError, Message, Producer


def main(bootstrap: str, topic: str = "clicks") -> int:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",  # Kafka's own. The default here is another: sessions would be torn apart
            "enable.idempotence": True,  # none twice, none before its predecessor, acknowledged by all replicas
            "compression.type": "lz4",
        }
    )
    failed = 0

    def delivered(error: KafkaError | None, message: Message) -> None:
        nonlocal failed
        if error is not None:
            failed += 1
            print(f"not sent: {error.str()}", file=sys.stderr)
        else:
            print(message.partition(), message.offset(), (message.key() or b"").decode(), flush=True)

    for line in sys.stdin:
        click = json.loads(line)
        key = str(click["session_id"]).encode()  # the key is the session
        while True:
            try:
                producer.produce(topic, json.dumps(click).encode(), key, on_delivery=delivered)
                break
            except BufferError:  # its queue is full
                producer.poll(1)
        producer.poll(0)
    producer.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(*sys.argv[1:]))
