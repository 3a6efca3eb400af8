/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every kind of listener and connection that bytes could come in by, with the test as the application
 * at the threaded application's port. Functions fail the running test where they cannot do what they
 * say; what they open is closed behind the test.
 */
#ifndef SLUICE_TESTS_NET_DOORS_H
#define SLUICE_TESTS_NET_DOORS_H

#include <stdbool.h>

#include "harness.h"
#include "http_client.h"

/* What no application may see: a request that nobody counts, and one that is cut short. */
#define STOLEN "POST /stolen HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"

/* What it may see, with a key, and what it answers. */
#define GOOD	   "GET /good HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n"
#define GOOD_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* How a connection comes about. */
struct door {
	const char *name;
	int family;	     /* of the listener: AF_INET6 takes both where the client is AF_INET */
	int client_family;   /* 0: the same */
	int protocol;	     /* of the listener: 0 or IPPROTO_MPTCP */
	int client_protocol; /* likewise */
	int group;	     /* sockets that share the port, SO_REUSEPORT; 0: one that does not */
	bool selected;	     /* a program chooses among them */
	bool deferred;	     /* the listener has TCP_DEFER_ACCEPT */
	bool fast_open;	     /* data goes with the SYN, if it may */
	bool with_handshake; /* data goes with the handshake's last packet */
};

/* Stop what is at the port, and listen there. Returns one of the listeners. */
int door_listen(const struct door *door);

/* A socket of the client's side. */
struct client *door_client(const struct door *door);

/* Connect a socket of the client's side. Returns false, with errno set, where that cannot be. */
bool door_reach(const struct door *door, const struct client *client);

/* Connect one, and send bytes (NULL: none) with that. */
struct client *door_connect(const struct door *door, const char *bytes);

/* Wait until a client's bytes were acknowledged, or ms have passed. Returns whether they were. */
bool door_delivered(const struct client *client, unsigned int ms);

/*
 * Accept whatever of the door's connections comes within ms. Returns this end of it, which does not
 * block and is closed by door_leave(), or -1.
 */
int door_accept(unsigned int ms);

/* Read what reaches the application within ms. Returns bytes; a text that ends with NUL is in ret_read. */
size_t door_read(int server, unsigned int ms, char *ret_read, size_t size);

/*
 * The client has sent STOLEN: nothing of it reaches the application within ms, it is refused, and then the
 * connection is good for a request with the key. name is the door's, for what is said of a failure.
 */
void door_expect_gated(const char *name, struct client *client, int server, const struct key *key,
		       unsigned int ms);

/* Close all listeners and servers, and start the application again. */
void door_leave(void);

#endif
