"""Who is calling and what they may read: keys, tokens, tickets, privileges, grants, audit.

Everything exported here is free of I/O and reads no clock, but for the key files that are saved
and loaded by path, the sign-in limiter's memory and the audit writer's thread. The stores are
entered by their modules (`from auth.grantstore import GrantStore`), so that importing this package
loads no SQLAlchemy.
"""

from auth.audit import AuditRecord
from auth.auditchain import Anchor, ChainHead, Verification
from auth.auditwriter import AuditWriter
from auth.certificates import (
    CertificateAuthority,
    TlsKey,
    certificate_lifetime,
    fingerprint,
    is_certificate_of,
    make_request,
)
from auth.claimed import claimed_name
from auth.decisions import Allowed, Decision, Denied, Grant, Rules
from auth.errors import (
    AlreadyExistsError,
    AuditUnavailableError,
    AuthError,
    AuthUnavailableError,
    ExpiredTicketError,
    ExpiredTokenError,
    InvalidAnchorError,
    InvalidTicketError,
    InvalidTokenError,
    KeyFileError,
    LockedError,
    NotFoundError,
    PermissionDeniedError,
    RevokedTicketError,
    RevokedTokenError,
    UnsupportedGrantError,
    UnusablePasswordError,
)
from auth.failurecap import FailureCap
from auth.grants import GrantSet, check_cross_cluster
from auth.issuers import IssuerKeys, OutsideIssuer, OutsideToken, open_outside_token
from auth.joining import JoinToken
from auth.keychain import KeyChain, RotatingKey, rotate
from auth.keys import KeyRing, PublicKey, SigningKey
from auth.ownership import HomeRules
from auth.passwords import NO_PASSWORD, check_hash, hash_password, verify_password
from auth.pending import PendingSignIns, is_pending
from auth.principals import VISITORS, Identity, Principal, fold_principal
from auth.privileges import Access, Effect, Privilege, check_level
from auth.revocations import Revocation, RevocationSet
from auth.sealedbox import BoxKey, seal_box
from auth.sealing import TokenKind, kind_of, open_sealed, seal
from auth.signin import SignInLimiter
from auth.tickets import Ticket, TicketExplain, TicketTable, open_ticket, seal_ticket
from auth.ticketshards import SharedResult, TicketShard, shared_result
from auth.tokens import (
    FEDERATION,
    SessionToken,
    open_identity_token,
    open_session_token,
    seal_identity_token,
    seal_session_token,
    session_ttl_s,
)
from auth.vetoes import VisitorRules, check_veto

__all__ = [
    "FEDERATION",
    "NO_PASSWORD",
    "VISITORS",
    "Access",
    "Allowed",
    "AlreadyExistsError",
    "Anchor",
    "AuditRecord",
    "AuditUnavailableError",
    "AuditWriter",
    "AuthError",
    "AuthUnavailableError",
    "BoxKey",
    "CertificateAuthority",
    "ChainHead",
    "Decision",
    "Denied",
    "Effect",
    "ExpiredTicketError",
    "ExpiredTokenError",
    "FailureCap",
    "Grant",
    "GrantSet",
    "HomeRules",
    "Identity",
    "InvalidAnchorError",
    "InvalidTicketError",
    "InvalidTokenError",
    "IssuerKeys",
    "JoinToken",
    "KeyChain",
    "KeyFileError",
    "KeyRing",
    "LockedError",
    "NotFoundError",
    "OutsideIssuer",
    "OutsideToken",
    "PendingSignIns",
    "PermissionDeniedError",
    "Principal",
    "Privilege",
    "PublicKey",
    "Revocation",
    "RevocationSet",
    "RevokedTicketError",
    "RevokedTokenError",
    "RotatingKey",
    "Rules",
    "SessionToken",
    "SharedResult",
    "SignInLimiter",
    "SigningKey",
    "Ticket",
    "TicketExplain",
    "TicketShard",
    "TicketTable",
    "TlsKey",
    "TokenKind",
    "UnsupportedGrantError",
    "UnusablePasswordError",
    "Verification",
    "VisitorRules",
    "certificate_lifetime",
    "check_cross_cluster",
    "check_hash",
    "check_level",
    "check_veto",
    "claimed_name",
    "fingerprint",
    "fold_principal",
    "hash_password",
    "is_certificate_of",
    "is_pending",
    "kind_of",
    "make_request",
    "open_identity_token",
    "open_outside_token",
    "open_sealed",
    "open_session_token",
    "open_ticket",
    "rotate",
    "seal",
    "seal_box",
    "seal_identity_token",
    "seal_session_token",
    "seal_ticket",
    "session_ttl_s",
    "shared_result",
    "verify_password",
]
