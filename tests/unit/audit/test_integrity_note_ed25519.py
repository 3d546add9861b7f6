"""A published signed note under real Ed25519."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tenaudit.audit.integrity import NoteVerifier, SignedNote, ed25519_key_id
from tests.unit.audit.test_integrity_note import PETER_KEY, PETER_NOTE


def test_the_published_ed25519_signature_is_over_the_text():
    public_key = Ed25519PublicKey.from_public_bytes(PETER_KEY)

    def verify(message, signature):
        public_key.verify(signature, message)
        return True

    verifier = NoteVerifier("PeterNeumann", ed25519_key_id("PeterNeumann", PETER_KEY), verify)
    note = SignedNote.parse(PETER_NOTE)
    assert note.verified_by([verifier]) == note.signatures
