/*
 * limits: every maximum of the store, in one place.
 *
 * A limit that a user can meet is answered with a message that names it; the others keep memory,
 * queues and waits bounded. Sizes are bytes, times are milliseconds unless the name says otherwise.
 */
#ifndef PYGMY_DB_LIMITS_H
#define PYGMY_DB_LIMITS_H

/* Items */
#define TITLE_MAX_BYTES 500
#define TOPIC_MAX_BYTES 100
#define ID_MAX INT64_C(999999999999999999)        /* 18 digits: also what nginx's cache key accepts */
#define COUNT_MAX INT64_C(1000000000)
#define COST_MAX_MINOR INT64_C(100000000000)      /* 1,000,000,000.00 */
#define QUANTITY_MAX INT64_C(1000000)             /* of one purchase */

/* Requests */
#define REQUEST_KEY_MAX_BYTES 128                 /* the client's Idempotency-Key */
#define SCOPED_KEY_MAX_BYTES 192                  /* with route, account and origin in front */
#define QUERY_STRING_MAX_BYTES 4096
#define QUERY_PARAMS_MAX 16
#define BODY_MAX_BYTES (64 * 1024)
#define IMPORT_BODY_MAX_BYTES (1024 * 1024)
#define JSON_DEPTH_MAX 8
#define PAGE_DEFAULT 100
#define PAGE_MAX 1000
#define IMPORT_ITEMS_MAX 20000                    /* in one request */

/* The log and the proposer */
#define ENTRY_MAX_BYTES (1536 * 1024)             /* envelope and commands of one batch */
#define BATCH_MAX_BYTES (1024 * 1024)             /* a batch takes no further command past this */
#define BATCH_MAX_COMMANDS 256
#define PROPOSER_QUEUE_MAX 4096                   /* waiting commands of one worker; past it: 503 overloaded */
#define RESULT_WINDOW_ENTRIES UINT64_C(100000)    /* refusals are remembered for so many log entries */
#define CHANGES_RING_ENTRIES 4096                 /* entries for which "what changed since" is answered exactly */
#define SLOTS_PER_RESULT_MAX 8                    /* past it everything counts as changed: see result.h */

/* The cluster */
#define AUDIT_ROWS_MAX 10000                      /* of items and of orders each, hashed by one audit */
#define AUDIT_ROWS 2000
#define APPLY_GROUP_ENTRIES 64                    /* applied in one transaction while catching up */
#define APPLY_GROUP_BYTES (4 * 1024 * 1024)
#define WALK_BACK_MAX 64                          /* missing values that are re-read one by one; past it the watch starts again */

/* Coherence */
#define SLOT_COUNT 65536
#define CHANGES_LINE_SLOTS_MAX 1024
#define CHANGES_TEXT_MAX_BYTES (1024 * 1024)
#define FRONTENDS_MAX 8

/* Clients, at nginx: nginx/render.sh, where they are checked, has the same */
#define WRITE_RATE_MAX 100000                     /* PYGMY_WRITE_RATE: writes of one client per second */
#define WRITE_BURST_MAX 1000000                   /* PYGMY_WRITE_BURST */
#define CLIENT_CONNECTIONS_MAX 100000             /* PYGMY_CLIENT_CONNECTIONS: of one client at each nginx worker; never more than all of them */
#define TRUSTED_NETWORKS_MAX 64                   /* PYGMY_TRUSTED_CLIENTS, PYGMY_TRUSTED_PROXIES */
#define NGINX_CONNECTIONS_RESERVED 512            /* of each nginx worker's connections; half of the others are for clients */

/* Workers */
#define WORKER_THREADS_MAX 256
#define WORKER_STACK_BYTES (256 * 1024)           /* of a thread; sanitizers get four times as much */
#define CONNECTIONS_MAX 512                       /* open FastCGI connections; more wait in the listen queue, of 4096: as many as nginx lets clients have (client/store/launch.sh) */
#define REQUEST_ARENA_MAX_BYTES (8 * 1024 * 1024)
#define ANSWER_HEAD_MAX_BYTES 1024
#define ANSWER_MAX_BYTES (2 * 1024 * 1024)
#define ROUTES_MAX 32
#define IF_NONE_MATCH_MAX_BYTES 1024
#define CONFIG_FILE_MAX_BYTES (64 * 1024)
#define LINE_LOG_MAX_BYTES (8 * 1024 * 1024)      /* of transaction and heartbeat logs; then they are rotated */
#define LINE_LOG_FILES 5                          /* kept, with the one that is written */

/* An overloaded worker (fcgi/common/admission.h), milliseconds */
#define ADMISSION_READ_MS 150                     /* a read that waited longer for a thread is refused; the cache's lease is asked for within 300 */
#define ADMISSION_WRITE_MS 300                    /* a write; in a cluster a frontend gives it up after 1000, and a probe after 500 */
#define ADMISSION_INTERVAL_MS 500                 /* but only when for so long nobody has waited less than half of that */
#define ADMISSION_INTERVAL_AGAIN_MS 100           /* the same, behind an overload not longer ago than: */
#define ADMISSION_MEMORY_MS 10000
#define ADMISSION_WAIT_MAX_MS 10000               /* nginx lets nothing wait so long: two clocks disagree, and nothing follows from them */

/* Time, milliseconds */
#define CONNECTION_IO_MS 5000                     /* reading from and writing to nginx */
#define STOP_DEADLINE_MS 3000                     /* running requests may finish */
#define OPEN_SILENCE_MS 1000                      /* a starting worker answers nobody while it opens the replica, this long */
#define OPEN_RETRY_MS 500                         /* between tries to open a replica that does not open; doubled each time */
#define OPEN_RETRY_MAX_MS 8000
#define REQUEST_DEADLINE_MS 4000                  /* of a worker; nginx waits longer, but on the frontend: fastcgi.conf, frontend.conf */
#define MIN_REVISION_WAIT_MS 1000
#define CLUSTER_WRITE_MS 900                      /* a write's deadline in a cluster: two replicas fit into 2 s */
#define LEASE_DEFAULT_MS 2000                     /* T of the coherence protocol */
#define LEASE_RENEW_MS 250

#endif
