/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What makes a source of an address: settings, written by the daemon before it loads. */
#ifndef SLUICE_SOURCE_BPF_H
#define SLUICE_SOURCE_BPF_H

#include <bpf/bpf_helpers.h>

#include "abi.h"

/* Bits of an address that count, in network byte order. */
const volatile __u32 ipv4_mask __weak = 0;
const volatile __u32 ipv6_mask[4] __weak = { 0 };

#endif
