using System.Globalization;

namespace RdmaMigration.Engine;

/// <summary>Sizes as people write and read them: <c>512M</c>, <c>1.5G</c>, <c>16GiB</c>. All units are binary, as in QEMU.</summary>
internal static class ByteSize
{
    private const string Units = "KMGTP";

    public static bool TryParse(string text, out ulong bytes, out string error)
    {
        bytes = 0;
        ReadOnlySpan<char> digits = text.AsSpan().TrimEnd("iBKMGTPkmgtp");
        ReadOnlySpan<char> suffix = text.AsSpan(digits.Length);
        if (!decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number))
        {
            error = $"'{text}' is not a size: write a number and a unit, such as 512M or 16G";
            return false;
        }

        int shift = 0;
        if (suffix is not ("" or "B"))
        {
            int unit = Units.IndexOf(char.ToUpperInvariant(suffix[0]));
            if (unit < 0 || suffix[1..] is not ("" or "i" or "iB"))
            {
                error = $"'{suffix}' is not a unit of size; use K, M, G, T or P (powers of 1024)";
                return false;
            }

            shift = (unit + 1) * 10;
        }

        decimal product = number > (decimal)(ulong.MaxValue >> shift) ? decimal.MaxValue : number * (1UL << shift);
        if (product > ulong.MaxValue)
        {
            error = $"'{text}' is larger than 16 EiB";
            return false;
        }

        if (product != decimal.Truncate(product))
        {
            error = $"'{text}' is not a whole number of bytes";
            return false;
        }

        bytes = (ulong)product;
        error = "";
        return true;
    }

    /// <summary>For people: <c>0 B</c>, <c>640 KiB</c>, <c>1.50 GiB</c>.</summary>
    public static string Format(ulong bytes)
    {
        int unit = -1;
        double value = bytes;
        while (value >= 1024 && unit + 1 < Units.Length)
        {
            value /= 1024;
            unit++;
        }

        return unit < 0
            ? string.Create(CultureInfo.InvariantCulture, $"{bytes} B")
            : $"{value.ToString(value == Math.Floor(value) ? "0" : "0.00", CultureInfo.InvariantCulture)} {Units[unit]}iB";
    }
}
