import { call, serve } from './service.mjs'

serve(async request => ({ item: 'tea', stock: await call('stock', '/items/tea', request) }))
