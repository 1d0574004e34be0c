-- Erase what was known of the views of a forgotten site: traits, sketches and numbers of hours or days that begin at args.starts,
-- under the keys of args.born. args.dimensions are all that the site had. Gives back how many buckets are done: as many as can be
-- with some 2,000 keys.
state = { born = args.born }
local keys = {}
for i, start in ipairs(args.starts) do
  for _, dimension in ipairs(args.dimensions) do keys[#keys + 1] = trait_key(args.tier, start, dimension) end
  for _, page in ipairs(call('HKEYS', numbers_key(args.tier, start))) do keys[#keys + 1] = sketch_key(args.tier, start, page) end
  keys[#keys + 1] = numbers_key(args.tier, start)
  keys[#keys + 1] = pages_key(args.tier, start)
  keys[#keys + 1] = args.tier == 'day' and places_key(start) or fresh_key(start)
  if #keys >= 2000 or i == #args.starts then
    each_run('UNLINK', keys)
    return i
  end
end
