// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records of connections whose end nobody was told of. Another program on a socket can have the gate's not
 * called when it closes (bpf_sock_ops_cb_flags is one word for all of them); its record would stay, and
 * keep another connection's place for ever.
 */
#include <errno.h>
#include <stdbool.h>

#include <bpf/bpf.h>

#include "kernel.h"
#include "kernel_handle.h"
#include "util.h"

/* Whether a connection is in the sockhash no more, which it leaves by itself when it ends. */
static bool is_gone(struct kernel *kernel, __u64 cookie)
{
	__u64 value;

	return bpf_map_lookup_elem(bpf_map__fd(kernel->programs->maps.socks), &cookie, &value) &&
	       errno == ENOENT;
}

/* Find the records, at most `max`. Returns how many. A record is made before its socket is enrolled. */
static size_t find_gone(struct kernel *kernel, __u64 *ret_cookies, size_t max)
{
	int conns = bpf_map__fd(kernel->programs->maps.conns);
	/* Where the last one is gone by now, the kernel begins anew. */
	size_t count = 0, steps = 2 * bpf_map__max_entries(kernel->programs->maps.conns);
	__u64 cookie, *last = NULL;

	while (count < max && steps-- && !bpf_map_get_next_key(conns, last, &cookie)) {
		if (is_gone(kernel, cookie))
			ret_cookies[count++] = cookie;
		last = &cookie;
	}
	return count;
}

static int forget(struct kernel *kernel, __u64 cookie)
{
	struct forgetting which = { .cookie = cookie };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &which, .ctx_size_in = sizeof(which));

	return bpf_prog_test_run_opts(bpf_program__fd(kernel->programs->progs.sluice_forget),
				      &options);
}

int kernel_forget_lost(struct kernel *kernel, size_t *ret_count)
{
	__u64 cookies[LOST_MAX];
	size_t count = find_gone(kernel, cookies, ARRAY_SIZE(cookies));
	int r = 0;

	*ret_count = 0;
	if (!count)
		return 0;
	/* One that was being made is in the sockhash behind this. */
	kernel_settle();
	for (size_t i = 0; !r && i < count; i++) {
		if (!is_gone(kernel, cookies[i]))
			continue;
		r = forget(kernel, cookies[i]);
		*ret_count += !r;
	}
	return r;
}
