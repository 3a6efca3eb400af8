/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network namespace this process is in. */
#ifndef SLUICE_NETNS_H
#define SLUICE_NETNS_H

#include <stdint.h>

/* The namespace's cookie, as bpf_get_netns_cookie() gives it. Returns 0 or a negative errno. */
int netns_cookie(uint64_t *ret_cookie);

#endif
