"""The pages that owners look at: dashboards, sites, settings, access and log-in."""
