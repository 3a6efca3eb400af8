/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the processes of Sluice may do, and who may look into them: as little, and nobody. */
#ifndef SLUICE_PRIVILEGES_H
#define SLUICE_PRIVILEGES_H

#include <stddef.h>
#include <stdint.h>

#include <linux/capability.h>

#define CAPABILITY(number) (1ULL << (number))

/* Load and attach the gate's programs. */
#define PRIVILEGES_LOAD (PRIVILEGES_SERVE | CAPABILITY(CAP_PERFMON))
/*
 * Start a relay, which opens raw sockets and a large send buffer; read the marks of sockets, and reset
 * those that are not gated. A relay that serves needs nothing.
 */
#define PRIVILEGES_SERVE (CAPABILITY(CAP_BPF) | CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_NET_RAW))
/* Of use where there: to give the control socket to a group; to remove what another user made. */
#define PRIVILEGES_GROUP  CAPABILITY(CAP_CHOWN)
#define PRIVILEGES_REMOVE CAPABILITY(CAP_DAC_OVERRIDE)

/*
 * Give up all capabilities but these, for good: programs that this one runs have no others either.
 *
 * needed	must be there
 * optional	are kept where they are there
 * why		on failure, a sentence for the user
 *
 * Returns 0 or a negative errno: -EPERM where one that is needed is not there.
 */
int privileges_limit(uint64_t needed, uint64_t optional, char *why, size_t why_size);

/*
 * As privileges_limit(), and where path is the service's user's, whose files must stay that user's, and
 * this process root: as that user. Root may have others' files read and written.
 */
int privileges_become_owner(const char *path, uint64_t needed, uint64_t optional, char *why,
			    size_t why_size);

/*
 * Keep this process' memory from others: no core dump, and only root may look into it. Returns 0 or a
 * negative errno.
 */
int privileges_hide_memory(void);

#endif
