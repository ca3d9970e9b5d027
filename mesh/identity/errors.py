"""What can be wrong with identities, as types.

IdentityInvalid        what we were handed is malformed: the provider or the configuration is at fault
  SpiffeIdInvalid      not a SPIFFE ID
  SvidInvalid          not an X509-SVID, or the key is not that of the certificate
  BundleInvalid        not a trust bundle
  PemInvalid           not PEM, or a part of it is missing
  CsrInvalid           not a certificate request that may be signed
  JwtInvalid           not a JWT, or none that is valid for this audience now
  DocumentInvalid      not a document of the issuance protocol
PeerRefused            the peer on the other end of a connection is at fault; carries the Reason
"""

from __future__ import annotations

from mesh.reasons import Reason


class IdentityInvalid(ValueError):
    """Identity material is malformed; whoever supplied it (provider, configuration) is at fault."""


class SpiffeIdInvalid(IdentityInvalid):
    """The text is no SPIFFE ID; whoever wrote it is at fault."""


class SvidInvalid(IdentityInvalid):
    """The certificate chain and key are no usable X509-SVID; the identity provider is at fault."""


class BundleInvalid(IdentityInvalid):
    """The authorities of a trust domain cannot be read; the identity provider is at fault."""


class PemInvalid(IdentityInvalid):
    """The text is not PEM (RFC 7468) or was cut short; whoever wrote it is at fault."""


class CsrInvalid(IdentityInvalid):
    """The certificate request cannot be signed; whoever asks is at fault."""


class JwtInvalid(IdentityInvalid):
    """The token is malformed or not valid for this audience now; whoever presents it is at fault."""


class DocumentInvalid(IdentityInvalid):
    """A request or an answer of the issuance protocol breaks its shape; whoever sent it is at fault."""


class PeerRefused(Exception):
    """The peer did not prove an identity that we accept; the peer is at fault.

    `reason` is one of the PEER_* codes, `detail` a sentence that names what was found in this case.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
