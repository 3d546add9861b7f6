"""Kafka by aiokafka: where a producer's events go, and where a consumer takes them from."""

from tenaudit.backends.kafka.flow import SinkHealth
from tenaudit.backends.kafka.security import KafkaSecurity
from tenaudit.backends.kafka.sink import KafkaSink
from tenaudit.backends.kafka.source import KafkaSource

__all__ = ["KafkaSecurity", "KafkaSink", "KafkaSource", "SinkHealth"]
