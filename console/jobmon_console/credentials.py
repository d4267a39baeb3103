"""Credentials for jobs: keys made here, certificates issued by the server.

The private key never leaves this machine; the server signs its public half
after checking that the request was made with it.
"""

from pathlib import Path
from typing import Any

from jobmon_console import calls
from jobmon_console.errors import AnswerError, JobMonError, UsageError
from jobmon_console.session import Session
from jobmon_pki import keys
from jobmon_pki.credential_files import credential_name, write_credential
from jobmon_pki.errors import PkiError
from jobmon_pki.profiles import JOB_ID
from jobmon_wire import limits
from jobmon_wire.credential import Credential


def issue(session: Session, ids: list[str], lifetime: float | None = None) -> list[Credential]:
    """Credentials for jobs with these ids, in their order.

    Args:
        session: to the server of the cluster the jobs go to.
        ids: as the batch system calls the jobs, or will.
        lifetime: s; the server has a default and a limit.

    Raises:
        UsageError: an id that cannot be one, or twice the same.
        JobMonError: the server did not issue them.
    """
    check_ids(ids)
    found: list[Credential] = []
    for start in range(0, len(ids), limits.CREDENTIALS_AT_ONCE):
        part = ids[start : start + limits.CREDENTIALS_AT_ONCE]
        pairs = [(job_id, keys.new_key()) for job_id in part]
        requests = [(job_id, keys.request_pem(key, job_id)) for job_id, key in pairs]
        answer = session.fetch(calls.credentials(requests, lifetime))
        found += _read(answer, {job_id: keys.key_pem(key) for job_id, key in pairs})
    return found


def check_ids(ids: list[str]) -> None:
    """Refuse ids before a key is made for them.

    Raises:
        UsageError: an id that cannot be one, or twice the same.
    """
    for job_id in ids:
        if not JOB_ID.fullmatch(job_id):
            raise UsageError(f"{job_id!a} cannot be a job's id; use letters, digits and ._:@-, a letter or digit first")
    if len(set(ids)) != len(ids):
        raise UsageError("one id is named twice; name each job once")


def write(credential: Credential, directory: Path) -> Path:
    """Write ``ID.jobmon``, which must not exist, with mode 0600.

    Raises:
        JobMonError: it cannot be written.
    """
    path = directory / credential_name(credential.job)
    try:
        write_credential(path, credential)
    except PkiError as error:
        raise JobMonError(str(error)) from None
    return path


def _read(answer: Any, keys_of: dict[str, str]) -> list[Credential]:
    try:
        rows = {str(row["id"]): row for row in answer["jobs"]}
        return [
            Credential(
                server=str(answer["agents"]),
                role="job",
                holder=str(rows[job_id]["holder"]),
                job=job_id,
                uuid=str(rows[job_id]["uuid"]),
                cluster=str(rows[job_id]["cluster"]),
                certificate=str(rows[job_id]["certificate"]),
                key=key,
                server_ca=str(answer["server_ca"]),
            )
            for job_id, key in keys_of.items()
        ]
    except (KeyError, TypeError):
        raise AnswerError("the credentials are not what the protocol says; compare the versions") from None
