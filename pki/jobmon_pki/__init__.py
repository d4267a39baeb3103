"""Every certificate of a JobMon site: who may hold one, what it says, what was issued.

The package makes the authorities of a site, issues, renews and revokes, and
decides what a certificate means.  It opens no socket; time comes in through
arguments.  What can go wrong is one tree::

    PkiError                      anything this package raises on purpose
    ├── DistinguishedNameError    a name that is not one of ours (a ValueError too)
    ├── ProfileError              a certificate that fits no profile (a ValueError too)
    ├── RequestError              a certificate request that is refused (a ValueError too)
    ├── AuthorityError            the authority will not issue that
    ├── DatabaseError             an SQLite file that cannot be used
    ├── LedgerError               the record of certificates cannot be read or written
    ├── CredentialFileError       a credential file that cannot be written
    └── SiteError                 a site directory that cannot be used
"""

from jobmon_pki.errors import PkiError

__all__ = ["PkiError"]
