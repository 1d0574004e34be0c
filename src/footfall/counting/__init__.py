"""Group commit: views gather in the open batch while another is committed; what a store that is away can't take is spooled."""
