// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "setting.h"

#define WORD_BITS 32

/* RFC 4291 2.5.5.2 */
static const uint32_t mapped_ipv4[3] = { 0, 0, 0xffff };

static bool is_mapped(const uint32_t words[4])
{
	return words[0] == mapped_ipv4[0] && words[1] == mapped_ipv4[1] &&
	       words[2] == htonl(mapped_ipv4[2]);
}

bool network_is_ipv4(const struct network *network)
{
	return network->prefix >= NETWORK_BITS - NETWORK_IPV4_BITS && is_mapped(network->words);
}

void network_cut(uint32_t words[4], uint32_t prefix)
{
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t kept = prefix > i * WORD_BITS ? prefix - i * WORD_BITS : 0;

		if (!kept)
			words[i] = 0;
		else if (kept < WORD_BITS)
			words[i] &= htonl(UINT32_MAX << (WORD_BITS - kept));
	}
}

int network_read(const char *text, struct network *ret_network)
{
	size_t length = strcspn(text, "/");
	struct network network = { .prefix = NETWORK_BITS };
	uint32_t cut[4], bits = NETWORK_BITS;
	char address[INET6_ADDRSTRLEN];

	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(AF_INET, address, &network.words[3]) == 1) {
		network.words[2] = htonl(mapped_ipv4[2]);
		bits = NETWORK_IPV4_BITS;
	} else if (inet_pton(AF_INET6, address, network.words) != 1) {
		return -EINVAL;
	}
	if (text[length]) {
		if (setting_read_number(text + length + 1, 0, bits, &network.prefix))
			return -EINVAL;
		network.prefix += NETWORK_BITS - bits;
	}
	memcpy(cut, network.words, sizeof(cut));
	network_cut(cut, network.prefix);
	if (memcmp(cut, network.words, sizeof(cut)))
		return -ERANGE;
	*ret_network = network;
	return 0;
}

void network_format(const struct network *network, char ret_text[NETWORK_TEXT_SIZE])
{
	bool ipv4 = network_is_ipv4(network);
	uint32_t prefix = network->prefix - (ipv4 ? NETWORK_BITS - NETWORK_IPV4_BITS : 0);
	size_t length;

	if (ipv4)
		inet_ntop(AF_INET, &network->words[3], ret_text, NETWORK_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, network->words, ret_text, NETWORK_TEXT_SIZE);
	length = strlen(ret_text);
	if (network->prefix < NETWORK_BITS)
		snprintf(ret_text + length, NETWORK_TEXT_SIZE - length, "/%u", prefix);
}

bool networks_overlap(const struct network *a, const struct network *b)
{
	uint32_t shorter = a->prefix < b->prefix ? a->prefix : b->prefix;
	uint32_t left[4], right[4];

	memcpy(left, a->words, sizeof(left));
	memcpy(right, b->words, sizeof(right));
	network_cut(left, shorter);
	network_cut(right, shorter);
	return !memcmp(left, right, sizeof(left));
}
