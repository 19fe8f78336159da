// Putting securepair in the place of Node's `tls`: the value is Node's own module as it was.

import './index';
import * as tls from 'tls';

declare const original: Readonly<typeof tls>;
export = original;
