"""Options of TLS and SASL: what they make of a connection, what they refuse, and that no password is an argument."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import sys

import click
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tenaudit.backends.kafka import KafkaSecurity
from tenaudit.cli import main
from tenaudit.cli.kafka_security import kafka_security_options

SECRET = "s3cr3t wörd"
VARIABLES = ("TENAUDIT_KAFKA_USER", "TENAUDIT_KAFKA_PASSWORD", "TENAUDIT_KAFKA_KEY_PASSWORD")
WORDS = ["consume", "--kafka", "127.0.0.1:1", "--store", "sqlite:///audit.db"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def pems():
    """A certificate of 127.0.0.1 that is its own authority, its key, and the key under a password."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("kafka.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return {
        "ca.pem": certificate.public_bytes(pem),
        "key.pem": key.private_bytes(pem, kind, serialization.NoEncryption()),
        "locked.pem": key.private_bytes(pem, kind, serialization.BestAvailableEncryption(SECRET.encode())),
    }


@pytest.fixture
def files(tmp_path, pems):
    for name, content in pems.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "both.pem").write_bytes(pems["ca.pem"] + pems["key.pem"])
    (tmp_path / "password").write_text(f"{SECRET}\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_text("x" * 5000)
    (tmp_path / "bytes").write_bytes(b"\xff")


def secured(*words, **variables):
    """What the options make."""
    found = []

    @click.command
    @kafka_security_options
    def command(security):
        found.append(security.security())

    CliRunner().invoke(command, words, env=variables, catch_exceptions=False)
    return found[0]


def test_without_options_all_is_in_clear_and_nobody_is_anybody():
    assert secured(TENAUDIT_KAFKA_USER="audit", TENAUDIT_KAFKA_PASSWORD=SECRET) == KafkaSecurity()


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "protocol"),
    [
        ([], "PLAINTEXT"),
        (["--tls"], "SSL"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-user", "audit", "--sasl-password-file", "password"], "SASL_PLAINTEXT"),
        (["--tls", "--sasl", "PLAIN", "--sasl-user", "audit", "--sasl-password-file", "password"], "SASL_SSL"),
        (["--tls", "--sasl", "SCRAM-SHA-512", "--sasl-user", "audit", "--sasl-password-file", "password"], "SASL_SSL"),
    ],
)
def test_the_options_name_the_protocol(words, protocol):
    made = secured(*words)
    assert made.protocol == protocol
    assert (made.ssl_context is not None) == ("--tls" in words)
    if "--sasl" in words:
        assert (made.sasl_mechanism, made.username, made.password) == (
            words[words.index("--sasl") + 1],
            "audit",
            SECRET,
        )


def test_user_and_password_may_stand_in_the_environment():
    made = secured("--tls", "--sasl", "PLAIN", TENAUDIT_KAFKA_USER="audit", TENAUDIT_KAFKA_PASSWORD=f"{SECRET}\n")
    assert (made.username, made.password) == ("audit", f"{SECRET}\n")
    assert SECRET not in repr(made)


def shaken(server, client):
    """Let two ends of TLS greet each other in memory; each raises what it does not accept."""
    pipes = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    ends = [
        client.wrap_bio(pipes[1], pipes[0], server_hostname="kafka.test"),
        server.wrap_bio(pipes[0], pipes[1], server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].getpeercert(binary_form=True)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["--tls-cert", "both.pem"], {}),
        (["--tls-cert", "ca.pem", "--tls-key", "key.pem"], {}),
        (["--tls-cert", "ca.pem", "--tls-key", "locked.pem"], {"TENAUDIT_KAFKA_KEY_PASSWORD": SECRET}),
    ],
)
def test_the_brokers_certificate_is_checked_and_ones_own_is_shown(words, variables, pems):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=pems["ca.pem"].decode())
    server.load_cert_chain("both.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    mine = secured("--tls", "--tls-ca", "ca.pem", *words, **variables).ssl_context
    assert shaken(server, mine) == ssl.PEM_cert_to_DER_cert(pems["ca.pem"].decode())
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(server, secured("--tls", *words, **variables).ssl_context)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tls-ca", "ca.pem"], "--tls-ca needs --tls"),
        (["--tls-cert", "ca.pem"], "--tls-cert needs --tls"),
        (["--tls", "--tls-key", "key.pem"], "--tls-key needs --tls-cert"),
        (["--tls", "--tls-ca", "no.pem"], "--tls-ca no.pem: No such file"),
        (["--tls", "--tls-ca", "key.pem"], "--tls-ca key.pem: it holds no such PEM"),
        (["--tls", "--tls-cert", "ca.pem"], "--tls-cert ca.pem: it holds no such PEM"),
        (["--tls", "--tls-cert", "ca.pem", "--tls-key", "locked.pem"], "or its password is wrong"),
        (["--sasl", "PLAIN", "--sasl-user", "u", "--sasl-password-file", "password"], "in clear; add --tls"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-password-file", "password"], "needs --sasl-user"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-user", "u"], "set TENAUDIT_KAFKA_PASSWORD, or name --sasl-password-file"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-user", "u", "--sasl-password-file", "no"], "no: No such file"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-user", "u", "--sasl-password-file", "empty"], "must hold the password"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-user", "u", "--sasl-password-file", "large"], "at most 4096 bytes"),
        (["--sasl", "SCRAM-SHA-256", "--sasl-user", "u", "--sasl-password-file", "bytes"], "as UTF-8"),
        (["--sasl-password-file", "password"], "--sasl-password-file needs --sasl"),
        (["--sasl", "GSSAPI"], "--sasl"),
        (["--sasl-password", SECRET], "No such option"),
    ],
)
def test_what_cannot_be_secured_is_one_line(words, says, capsys):
    assert main([*WORDS, *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert SECRET not in said.err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("name", "words", "most"),
    [
        ("TENAUDIT_KAFKA_KEY_PASSWORD", ["--tls", "--tls-cert", "ca.pem", "--tls-key", "locked.pem"], 1024),
        ("TENAUDIT_KAFKA_PASSWORD", ["--sasl", "SCRAM-SHA-256", "--sasl-user", "u"], 4096),
    ],
)
@pytest.mark.parametrize("value", ["x" * 5000, "\udcff"], ids=["too long", "no text"])
def test_a_password_that_no_connection_takes_is_one_line(name, words, most, value, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    assert main([*WORDS, *words]) == 2
    assert capsys.readouterr().err == f"error: {name} must be UTF-8, and at most {most} bytes\n"


@pytest.mark.usefixtures("files")
def test_the_command_itself_speaks_tls_when_told_to():
    """What reaches the port is a ClientHello, and not a request of Kafka's."""
    first = []

    async def heard():
        async def listen(reader, writer):
            first.append(await reader.read(3))
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        words = ["--kafka", f"127.0.0.1:{port}", "--store", "sqlite:///audit.db", "--tls", "--tls-ca", "ca.pem"]
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tenaudit.cli", "consume", *words, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(40):
                while not first:  # noqa: ASYNC110 - the other process tells nobody
                    await asyncio.sleep(0.02)
            running.terminate()
            assert await asyncio.wait_for(running.wait(), 30) == 0
        finally:
            if running.returncode is None:
                running.kill()
            server.close()

    asyncio.run(heard())
    # A record of the kind handshake, of TLS (RFC 8446 section 5.1).
    assert first[0][:2] == b"\x16\x03"
