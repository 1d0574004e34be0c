-- The list of sites, a set: add args.add, take away args.remove, and give back [cursor, [site, …]] of what SSCAN finds from
-- args.cursor on, where that is not "".
if #args.add > 0 then call('SADD', KEY, unpack(args.add)) end
if #args.remove > 0 then call('SREM', KEY, unpack(args.remove)) end
if args.cursor == '' then return { '0', {} } end
return call('SSCAN', KEY, args.cursor, 'COUNT', 1000)
