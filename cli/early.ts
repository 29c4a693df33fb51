import { bootEarly } from '../proxy/control/early-thread.ts'

// Before the other modules of the command line: on two cores a data thread boots beside them.
if (process.argv[2] === 'proxy' && !process.argv.some(each => each === '-h' || each === '--help')) bootEarly()
