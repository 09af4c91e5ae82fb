#define _GNU_SOURCE
#include "rdmamig_verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int rdmamig_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	return ibv_post_send(qp, wr, bad_wr);
}

int rdmamig_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	return ibv_post_recv(qp, wr, bad_wr);
}

int rdmamig_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc)
{
	return ibv_poll_cq(cq, num_entries, wc);
}

int rdmamig_req_notify_cq(struct ibv_cq *cq, int solicited_only)
{
	return ibv_req_notify_cq(cq, solicited_only);
}

/* The function that libibverbs exports fills the structure of the first ABI, which has no link_layer. */
int rdmamig_query_port(struct ibv_context *context, uint8_t port_num, struct ibv_port_attr *attr)
{
	struct verbs_context *extended = verbs_get_ctx_op(context, query_port);

	memset(attr, 0, sizeof(*attr));
	return extended ? extended->query_port(context, port_num, attr, sizeof(*attr)) : EOPNOTSUPP;
}

int rdmamig_query_odp_caps(struct ibv_context *context, struct ibv_odp_caps *caps)
{
	struct verbs_context *extended = verbs_get_ctx_op(context, query_device_ex);
	struct ibv_device_attr_ex attr;
	int error;

	memset(caps, 0, sizeof(*caps));
	if (!extended)
		return EOPNOTSUPP;
	memset(&attr, 0, sizeof(attr));
	error = extended->query_device_ex(context, NULL, &attr, sizeof(attr));
	if (!error)
		*caps = attr.odp_caps;
	return error;
}

int rdmamig_advise_mr(struct ibv_pd *pd, uint32_t advice, uint32_t flags, struct ibv_sge *sg_list, uint32_t num_sge)
{
	struct verbs_context *extended = verbs_get_ctx_op(pd->context, advise_mr);

	return extended ? extended->advise_mr(pd, (enum ibv_advise_mr_advice)advice, flags, sg_list, num_sge) : EOPNOTSUPP;
}

/* The owner closes the two descriptors by their numbers, so the numbers stay taken: /dev/null stands in for the device. */
void rdmamig_detach(struct ibv_context *context)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup3(null, context->async_fd, O_CLOEXEC);
	dup3(null, context->cmd_fd, O_CLOEXEC);
	close(null);
}
