-- The last sequence of args.writer that was applied; 0 where none is remembered.
local writer = state and writer_of(args.writer)
return writer and writer.sequence or 0
