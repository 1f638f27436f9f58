#!/bin/bash
# Entry point of the stand-in for the image apache/kafka: every KAFKA_A_B variable becomes the property a.b (as there:
# `__` stands for `_`, `___` for `-`), the storage is formatted once, and Kafka takes over this process.
set -euo pipefail

properties=/opt/kafka/config/server.properties
mkdir -p "${properties%/*}"
: > "$properties"
while IFS='=' read -r -d '' name value; do
  case $name in
    KAFKA_HEAP_OPTS | KAFKA_OPTS | KAFKA_JVM_PERFORMANCE_OPTS | KAFKA_VERSION) continue ;;
    KAFKA_*) ;;
    *) continue ;;
  esac
  key=${name#KAFKA_}
  key=${key,,}
  key=${key//___/-}
  key=${key//__/:}
  key=${key//_/.}
  printf '%s=%s\n' "${key//:/_}" "$value" >> "$properties"
done < <(env -0)

read -r -a heap <<< "${KAFKA_HEAP_OPTS:--Xmx512m}"
read -r -a options <<< "${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1} ${KAFKA_OPTS:-}"
kafka=(java "${heap[@]}" "${options[@]}" -cp '/opt/kafka/libs/*')

"${kafka[@]}" kafka.tools.StorageTool format --ignore-formatted \
  -t "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" -c "$properties"
exec "${kafka[@]}" kafka.Kafka "$properties"
