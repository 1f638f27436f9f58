"""Values in a schema registry's formats: clicks and lists as Avro or JSON Schema, in Confluent's wire format."""
