"""The compact platform that `tenaudit demo` runs: a gateway, two services and the audit service, over real sockets."""
