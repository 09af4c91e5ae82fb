#ifndef RDMAMIG_VERBS_H
#define RDMAMIG_VERBS_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#define RDMAMIG_EXPORT __attribute__((visibility("default")))

/* The verbs that the headers define inline, under names that a P/Invoke can reach.
 * They keep the conventions of the originals: a positive errno, or for poll_cq a count or a negative value. */
RDMAMIG_EXPORT int rdmamig_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr);
RDMAMIG_EXPORT int rdmamig_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr);
RDMAMIG_EXPORT int rdmamig_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc);
RDMAMIG_EXPORT int rdmamig_req_notify_cq(struct ibv_cq *cq, int solicited_only);
RDMAMIG_EXPORT int rdmamig_query_port(struct ibv_context *context, uint8_t port_num, struct ibv_port_attr *attr);
RDMAMIG_EXPORT int rdmamig_query_odp_caps(struct ibv_context *context, struct ibv_odp_caps *caps);
RDMAMIG_EXPORT int rdmamig_advise_mr(struct ibv_pd *pd, uint32_t advice, uint32_t flags, struct ibv_sge *sg_list,
                                     uint32_t num_sge);

/* Closes the kernel's side of a context whose device is being removed and on which nothing is left. Its owner still has to free it. */
RDMAMIG_EXPORT void rdmamig_detach(struct ibv_context *context);

/* What the headers of this build say about the ABI. The table ends with a null name. */
struct rdmamig_abi_fact {
	const char *name;
	int64_t value;
};
RDMAMIG_EXPORT const struct rdmamig_abi_fact *rdmamig_abi_facts(void);

#endif
