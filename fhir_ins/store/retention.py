"""How long the audit trail is kept: whole batches leave it once all their events are older than the days set.

Before they are removed a signed checkpoint says up to where: what is left follows it, so that what was removed in order
is told from what was removed otherwise.
"""

import time
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fhir_ins.security.audit.checkpoints import Checkpoints
from fhir_ins.store.chain import Chain


async def retire(chain: Chain, checkpoints: Checkpoints, signing: Ed25519PrivateKey, tenant: str, days: int) -> int:
    """Remove the batches of a tenant that are too old, never the last one; answers how many they were.

    Raises PyMongoError or OSError, before anything is removed or when some of it is: then it is done again.
    """
    oldest = time.time_ns() // 1_000_000 - int(timedelta(days=days).total_seconds() * 1000)
    kept = await chain.oldest_since(tenant, oldest)
    if kept is None:
        kept = (await chain.tail(tenant)).sequence
    cut = await chain.at(tenant, kept - 1)
    if cut is None:
        return 0
    checkpoints.append(signing, tenant, cut.sequence, cut.hash, cut=True)
    return await chain.remove(tenant, cut.sequence)
