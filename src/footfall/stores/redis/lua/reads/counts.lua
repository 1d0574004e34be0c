-- The counts of args.pages in the args.width seconds that end with args.at, or with now where that is 0: [second, views, today,
-- total, …], page by page. Changes nothing.
local at = args.at > 0 and args.at or now
return { at, state and counts_of(args.pages, args.width, at) or {} }
