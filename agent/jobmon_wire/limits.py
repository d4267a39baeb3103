"""What a peer may send: every bound of the protocol, with its unit and reason."""

KIB = 1024  # bytes
MIB = 1024 * KIB  # bytes

# Frames
FRAME_PAYLOAD = 64 * KIB  # bytes; one read of a file, one TLS burst of four records
CREDIT_WINDOW = 256 * KIB  # bytes of answer in flight per request, end to end
INPUT_WINDOW = 128 * KIB  # bytes of INPUT and RESIZE frames in flight per request: two of the longest, nearly
REQUESTS_PER_JOB = 16  # answers under way at once; one process each on the worker node

# Documents (JSON); figures of the strict reader: docs/security.md
DOCUMENT_BYTES = 1 * MIB  # bytes; the largest body that is read whole
DOCUMENT_DEPTH = 16  # levels of nesting
DOCUMENT_KEYS = 256  # keys in one object
INTEGER = 2**53  # beyond this a double, and so JSON elsewhere, loses digits

# Text that comes from a job or a node
TEXT = 4 * KIB  # characters of a command line, a path or a message
LABEL = 64  # characters of a job id
LOG_LINE = 1024  # characters of one progress line
BATCH_LABELS = 32  # facts about the batch system per job

# The end of a job
LAST_WORDS = 64 * KIB  # bytes of stdout and of stderr kept with the end report
HASTY_WORDS = 16 * KIB  # bytes of each that an OVER frame holds: two of them in base64 fit one frame
REASON = 64  # characters of what the batch system says of the end

# Answers
LIST_ENTRIES = 10000  # files of one listing; more are counted, not sent
TAIL_BYTES = 8 * MIB  # bytes searched backwards for the last lines of a file
LINES = 1000000  # lines one head or tail may ask for
SCREEN = 4096  # rows, or columns, of a terminal; the largest screens have 1,000

# Time
PING_INTERVAL = 10.0  # s between beats on an open channel
BEAT_INTERVAL = 25.0  # s between datagrams: mappings of NAT gateways last 30 s and more (Linux: 30 s, then 120 s)
QUIET = (
    60.0  # s without a request until a channel is closed that a datagram can open: a second command needs no wake-up
)
LONGEST_QUIET = 86400.0  # s
SILENT_AFTER = 3  # missed beats until a job counts as silent
CONNECT_TIMEOUT = 10.0  # s for TCP and TLS; a lost SYN is repeated within 7 s
GRACE_LIMIT = 600.0  # s between TERM and KILL; batch systems give minutes at most
CREDENTIALS_AT_ONCE = 1000  # job certificates per request: 1 ms of signing each
