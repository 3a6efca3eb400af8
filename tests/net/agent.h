/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Another agent: its own programs on the sockets that the gate enrols. */
#ifndef SLUICE_TESTS_NET_AGENT_H
#define SLUICE_TESTS_NET_AGENT_H

/* What its programs are for. */
enum agent_kind { AGENT_MESSAGES, AGENT_BUFFERS };

struct agent {
	int map; /* its sockhash, by socket cookie */
	int program;
	int enrol;
};

/*
 * Make one whose program passes everything: sk_msg or sk_skb. From agent_attach() on it takes each
 * connection that is established in the stage's cgroup; where it does so before the gate comes up,
 * it comes first. agent_close() ends all of it. Functions fail the running test where they cannot.
 */
struct agent agent_open(enum agent_kind kind);
void agent_attach(const struct agent *agent);
void agent_detach(const struct agent *agent);
void agent_close(const struct agent *agent);

#endif
