"""A member cluster: controller, data node, users, and what both servers of the product share."""
